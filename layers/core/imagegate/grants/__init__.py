"""Decisions of people: approvals, break-glass, and the proof of who decides."""
