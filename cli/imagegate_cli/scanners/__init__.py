"""Readers of scanner reports. The format of a file is detected from its content, never from its name.

Rule: a report that cannot be read is an error. A finding that is skipped silently would let an image pass.
"""
