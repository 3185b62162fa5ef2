"""Messages of the audit, the clean-up and the comparison with the baseline."""
