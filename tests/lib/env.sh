#!/bin/sh
# env.sh COMMAND...: run a test with the cluster of the fixture, when there is one, in PHASEGATE_TEST_PG.
PHASEGATE_BUILD=${PHASEGATE_BUILD:-build/dev}
if [ -r "$PHASEGATE_BUILD/pg/conninfo" ]; then
    PHASEGATE_TEST_PG=$(cat "$PHASEGATE_BUILD/pg/conninfo")
    export PHASEGATE_TEST_PG
fi
exec "$@"
