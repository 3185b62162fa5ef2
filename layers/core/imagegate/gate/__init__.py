"""Judging an image: facts, rules, verdict, and the record of it."""
