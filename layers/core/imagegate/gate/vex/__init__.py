"""VEX documents: OpenVEX and CSAF, read and written."""
