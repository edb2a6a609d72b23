"""Jobs that run at the same time, again and again."""

import threading
import time

import pytest

# Seconds are spent once a backend, two modes of MindSpore among them.
SECONDS = [4, pytest.param(20, marks=pytest.mark.slow)]
LEAST = 6


def run_threads(jobs, seconds):
    """Run each job again and again in a thread of its own; raise the first error.

    Each runs for these seconds, and `LEAST` times however slow the machine is.
    """
    errors, end = [], time.monotonic() + seconds

    def again(job):
        turns = 0
        try:
            while (time.monotonic() < end or turns < LEAST) and not errors:
                job()
                turns += 1
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=again, args=(job,)) for job in jobs]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if errors:
        raise errors[0]
