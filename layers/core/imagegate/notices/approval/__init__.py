"""Messages about approvals: mails with links, and requests that were rejected or expired."""
