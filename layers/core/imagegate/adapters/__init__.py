"""Who is talked to: one module per service. Clients are made lazily, errors translated where we act on them."""
