"""The operator's command line: reads the ledger, asks for releases, decides nothing itself."""

from imagegate.dataclass_methods import keep_methods

keep_methods(*__path__)
