#!/bin/sh
# Runs one test program. cmocka 1.1 writes "not ok N # SKIP" for a skipped test, which the TAP driver takes for a failure.
exec 4>&1
code=$({ { "$@"; echo $? >&3; } | sed 's/^not ok \([0-9]*\) # SKIP/ok \1 # SKIP/' >&4; } 3>&1)
exit "${code:-99}"
