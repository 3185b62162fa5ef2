"""The commands: one module for each, with a click command of that name.

`registry` has those about what ECR stores and who may use it, `releases` those about images on their way,
`decisions` those of `imagegate decide`; the others are here.
"""
