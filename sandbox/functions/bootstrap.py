"""The start of AWS's runtime client in a function's process; it ends with the process that started it.

Standard input is a pipe without a writer: it closes when the sandbox ends, however it ends.
"""

import os
import sys
import threading


def _end_with_the_sandbox() -> None:
    os.read(0, 1)
    os._exit(1)


if __name__ == "__main__":
    os.environ["AWS_SDK_UA_APP_ID"] = str(os.getpid())  # in the user agent of its calls
    threading.Thread(target=_end_with_the_sandbox, daemon=True).start()
    from awslambdaric.__main__ import main

    main([sys.argv[0], os.environ["_HANDLER"]])
