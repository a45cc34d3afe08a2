#!/usr/bin/env bash
# Fetches GraphiQL into target/graphiql, from where the build embeds it into the server. Its page then works offline, and
# the repository contains no third-party code.
#
# GraphiQL 4.1.2 is the last release with a script that browsers load without a bundler. It includes its own graphql-ws
# client, and needs React 18, the last version with such scripts.
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
"$root/scripts/fetch-from-npm.sh" "$root/target/graphiql" <<'EOF'
graphiql.min.js             graphiql@4.1.2    graphiql.min.js                  867226ba8af5ce7949903fc53932f78dac9f4bfc6cc8da0fd3869b8bc6c5256b
graphiql.min.css            graphiql@4.1.2    graphiql.min.css                 30487e07635d312a63f647b140d37740a73c53332b0975bf4b1fe985ca6ec885
graphiql.LICENSE            graphiql@4.1.2    LICENSE                          4b18fbe55c4e8f9169cb702be138f4d858a2dad920c39857204ffdc9c1c9fdc4
react.production.min.js     react@18.3.1      umd/react.production.min.js      d949f1c3687aedadcedac85261865f29b17cd273997e7f6b2bfc53b2f9d4c4dd
react-dom.production.min.js react-dom@18.3.1  umd/react-dom.production.min.js  35f4f974f4b2bcd44da73963347f8952e341f83909e4498227d4e26b98f66f0d
react.LICENSE               react@18.3.1      LICENSE                          52412d7bc7ce4157ea628bbaacb8829e0a9cb3c58f57f99176126bc8cf2bfc85
EOF
