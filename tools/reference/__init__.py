"""The generated pages of the reference: from the policy's schema, the command line, and the template."""
