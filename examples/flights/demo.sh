#!/bin/sh
# The whole loop on real flights: each line is a command you can type yourself.
set -eu

say() { printf '\n$ %s\n' "$*"; }
must() { say "$@"; "$@"; }

# The demo shows a first run, so it starts anew: what an earlier one kept here is removed.
echo 'starting anew: removing .lichen of an earlier demo'
rm -rf .lichen
must lichen check
must lichen run
must lichen replay late_arrival --from 2013-12-01
# A monitor that finds something ends with 1: that is an answer, not a failure.
say lichen monitor --at 2014-01-05
lichen monitor --at 2014-01-05 || [ $? -eq 1 ]
must lichen run
printf '\n'
lichen status
