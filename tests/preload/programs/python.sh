# waits: python3.11
# status: 6
exec /usr/bin/python3 "$JOBS/python.py"
