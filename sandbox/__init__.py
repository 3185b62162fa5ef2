"""AWS on one machine: the product's real template, handlers and state machine, without AWS.

The product does not know that it runs here: only endpoints differ. The product never imports this package.
"""
