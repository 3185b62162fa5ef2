"""The product's real template in the sandbox: packaged, translated, deployed, and checked."""
