"""The ledger in one DynamoDB table: `ledger.DynamoLedger` has all its parts, and a function may load some alone."""
