"""Messages about released images at risk: for people, and for AWS Security Hub."""
