# waits: node
# package: nodejs
# status: 6
exec node --no-warnings "$JOBS/node.js"
