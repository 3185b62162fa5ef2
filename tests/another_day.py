"""A pytest plugin: all of a run, imports too, begins at the moment in TEST_DAY. `-p tests.another_day`

It moves Python's clock in this process; the time zone of the machine is the environment's TZ.
"""

from __future__ import annotations

import os
from datetime import datetime

import time_machine

time_machine.travel(datetime.fromisoformat(os.environ["TEST_DAY"])).start()
