"""The evidence that is attached to an image: attestations, signatures and SBOMs."""
