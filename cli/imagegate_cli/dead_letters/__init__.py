"""The dead-letter queue: its messages, and how a lost release is started again."""
