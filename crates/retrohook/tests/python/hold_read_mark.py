"""Holds one of the read marks of a SQLite database in its log's index, as a reader does: the log cannot begin anew meanwhile.

Argument: the index (the file that ends in -shm). Says so in a line, and holds it until its input ends.
"""
import fcntl
import os
import sys

# The locks of an index begin at byte 120; the first three are not marks, and the first mark is that of readers without a log.
FIRST_MARK = 120 + 3 + 1

index = os.open(sys.argv[1], os.O_RDWR)
fcntl.lockf(index, fcntl.LOCK_SH, 1, FIRST_MARK)
print("held", flush=True)
sys.stdin.read()
