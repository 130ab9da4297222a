#!/bin/sh
# Becomes workerd, and ends it when the process that started it is gone, also after kill -9: an orphan would hold the
# databases of the data directory and answer on the port. COSYVOICE_WORKERD is the program.
parent=$PPID
self=$$
(
  while kill -0 "$parent" && kill -0 "$self"; do sleep 1; done
  kill -9 "$self"
) </dev/null >/dev/null 2>&1 3>&- &
exec "$COSYVOICE_WORKERD" "$@"
