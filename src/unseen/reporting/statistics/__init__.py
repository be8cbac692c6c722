"""Numbers to intervals and tests: pure functions that know no run, table or page."""
