"""The evidence pack for an auditor: samples of releases with their proof, which anybody can verify offline."""
