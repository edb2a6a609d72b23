"""Many threads at once, for a while."""

import threading
import time


def run_threads(jobs, seconds):
    """Run each job again and again in a thread of its own; raise the first error."""
    errors, end = [], time.monotonic() + seconds

    def again(job):
        try:
            while time.monotonic() < end and not errors:
                job()
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=again, args=(job,)) for job in jobs]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if errors:
        raise errors[0]
