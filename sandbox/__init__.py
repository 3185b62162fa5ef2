"""AWS on one machine: the product's real template, handlers and state machine, without AWS.

Nothing in the product knows that it runs here: only endpoints differ. The product never imports this package.
"""
