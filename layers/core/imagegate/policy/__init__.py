"""The policy: stages, the rules of their gates, waivers and approval terms."""
