#!/usr/bin/env bash
# Starts and stops the PostgreSQL cluster and the Kafka broker that the tests run against. Both store their data in one
# folder and listen on free loopback ports, so that several checkouts can run tests at the same time, and servers that
# already run on the machine are not used.
#
#   scripts/test-services.sh start [DIR]    then: source DIR/env
#   scripts/test-services.sh start DIR --without-kafka
#   scripts/test-services.sh start DIR --without-sync     for tests, none of which stops the machine: what a killed server has
#                                                         written is kept by the kernel. Benchmarks measure its waits.
#   scripts/test-services.sh stop [DIR]     idempotent; keeps DIR/postgres.log and DIR/kafka.log
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
ready_timeout_s=60

fail() {
    echo "test-services: $1" >&2
    if [[ -n ${2:-} && -s $2 ]]; then
        tail -n 20 "$2" >&2
    fi
    exit 1
}

# --- processes, identified by pid and start time, because a pid may be reused ---

# Prints the start time of process $1; fails if the process does not exist or is a zombie.
started_at() {
    local stat
    { stat=$(<"/proc/$1/stat"); } 2>/dev/null || return 1
    read -ra stat <<<"${stat##*) }"
    [[ ${stat[0]} != Z ]] && echo "${stat[19]}"
}

remember() { # NAME PID
    local started
    started=$(started_at "$2") || fail "$1 ended immediately after its start" "$dir/$1.log"
    echo "$2 $started" >"$dir/$1.pid"
}

# Prints the pid of the remembered process if it is still running.
running() { # NAME
    local pid started
    [[ -s $dir/$1.pid ]] && read -r pid started <"$dir/$1.pid" || return 1
    [[ $(started_at "$pid") == "$started" ]] && echo "$pid"
}

stop_one() { # NAME SIGNAL
    local pid signal
    for signal in "$2" KILL; do
        pid=$(running "$1") || break
        kill -s "$signal" "$pid" || true # the process may have ended meanwhile
        for _ in {1..100}; do
            running "$1" >/dev/null || break
            sleep 0.1
        done
    done
    ! running "$1" >/dev/null || fail "$1 (process $pid) did not stop within 20 s"
    rm -f "$dir/$1.pid"
}

stop_all() {
    rm -f "$dir/env"
    # The data is deleted, so no clean shutdown is needed.
    stop_one kafka KILL
    stop_one postgres QUIT
    if [[ -s $dir/postgres.data ]]; then
        rm -rf "$(<"$dir/postgres.data")"
    fi
    rm -rf "$dir/kafka" "$dir/postgres.data"
}

# --- ports ---

is_open() { (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null; }

# Below the range of ephemeral ports, so that no client socket can take the port first.
free_port() { # FIRST
    local port
    for _ in {1..100}; do
        port=$(($1 + RANDOM % 4000))
        is_open "$port" || { echo "$port" && return; }
    done
    fail "no free port was found between $1 and $(($1 + 4000))"
}

wait_until_ready() { # NAME COMMAND…
    local name=$1 deadline=$((SECONDS + ready_timeout_s))
    shift
    until "$@" >/dev/null 2>&1; do
        running "$name" >/dev/null || fail "$name ended while starting" "$dir/$name.log"
        ((SECONDS < deadline)) || fail "$name did not answer within $ready_timeout_s s" "$dir/$name.log"
        sleep 0.1
    done
}

# --- PostgreSQL ---

# PostgreSQL refuses to run as root, so root runs it as another user, which must be able to enter the data folder. If the
# checkout is not accessible to that user, for example under /root, the data is in /var/tmp.
prepare_postgres_data() {
    as_postgres=()
    data=$dir/postgres
    mkdir -p "$data"
    if ((EUID == 0)); then
        local user=nobody
        id -u postgres >/dev/null 2>&1 && user=postgres
        as_postgres=(setpriv "--reuid=$user" "--regid=$(id -g "$user")" --clear-groups --)
        chown "$user" "$data"
        if ! "${as_postgres[@]}" test -w "$data"; then
            rmdir "$data"
            data=$(mktemp -d /var/tmp/apex-postgres.XXXXXXXX)
            chown "$user" "$data"
        fi
    fi
    chmod 700 "$data"
    echo "$data" >"$dir/postgres.data"
}

start_postgres() { # PORT PASSWORD
    local initdb bin log=$dir/postgres.log
    initdb=$(compgen -G '/usr/lib/postgresql/*/bin/initdb' | sort -V | tail -n 1) || initdb=$(command -v initdb) \
        || fail "PostgreSQL's server is not installed (Debian: postgresql)"
    bin=$(dirname "$(readlink -f "$initdb")")
    prepare_postgres_data
    cd / # the other user may not be able to enter the checkout
    # shellcheck disable=SC2016 # $1 is expanded by the inner shell, so that the file belongs to the other user
    "${as_postgres[@]}" sh -c 'umask 077; cat >"$1"' - "$data/password" <<<"$2"
    # --no-sync only applies to initdb, whose cluster is empty.
    "${as_postgres[@]}" "$bin/initdb" --pgdata="$data/cluster" --username=postgres --pwfile="$data/password" \
        --auth=scram-sha-256 --data-checksums --encoding=UTF8 --locale=C.UTF-8 --no-sync >"$log" 2>&1 \
        || fail "initdb failed" "$log"
    local settings=(listen_addresses=127.0.0.1 unix_socket_directories= max_connections=300 shared_buffers=256MB max_wal_size=2GB)
    # Whole pages in the WAL are for a disk that lost a part of one. Autovacuum would start workers all the time, since each test has
    # a database of its own.
    [[ $sync == on ]] || settings+=(fsync=off full_page_writes=off autovacuum_naptime=10min checkpoint_timeout=30min)
    setsid "${as_postgres[@]}" "$bin/postgres" -D "$data/cluster" -p "$1" "${settings[@]/#/-c}" </dev/null >>"$log" 2>&1 &
    remember postgres $!
    export PGPASSWORD=$2
    wait_until_ready postgres "$bin/psql" -w -h 127.0.0.1 -p "$1" -U postgres -d postgres -qAtc 'SELECT 1'
}

# --- Kafka ---

# The folder of jars has a copy of the pom that it was filled from: if they differ, it is filled again.
fetch_kafka() {
    local pom=$root/tests/kafka/pom.xml
    cmp -s "$pom" "$jars/pom.xml" && return
    rm -rf "$jars"
    mkdir -p "$jars"
    mvn -q -B -f "$pom" dependency:copy-dependencies -DincludeScope=runtime "-DoutputDirectory=$jars" \
        >"$dir/maven.log" 2>&1 || fail "Maven could not fetch Kafka" "$dir/maven.log"
    cp "$pom" "$jars/pom.xml"
}

# One node as broker and controller, with a listener that needs a credential beside one that does not. Internal topics get
# few partitions: with the default of 50, the first consumer would wait for seconds.
write_kafka_config() { # PORT CONTROLLER_PORT SASL_PORT PASSWORD
    (umask 077 && : >"$dir/kafka/server.properties")
    cat >"$dir/kafka/server.properties" <<EOF
process.roles=broker,controller
node.id=1
controller.quorum.voters=1@127.0.0.1:$2
listeners=PLAINTEXT://127.0.0.1:$1,CONTROLLER://127.0.0.1:$2,SASL_PLAINTEXT://127.0.0.1:$3
advertised.listeners=PLAINTEXT://127.0.0.1:$1,SASL_PLAINTEXT://127.0.0.1:$3
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT,SASL_PLAINTEXT:SASL_PLAINTEXT
sasl.enabled.mechanisms=PLAIN
listener.name.sasl_plaintext.plain.sasl.jaas.config=org.apache.kafka.common.security.plain.PlainLoginModule required user_apex="$4";
inter.broker.listener.name=PLAINTEXT
controller.listener.names=CONTROLLER
log.dirs=$dir/kafka/data
auto.create.topics.enable=false
group.initial.rebalance.delay.ms=0
min.insync.replicas=1
offsets.topic.num.partitions=4
offsets.topic.replication.factor=1
transaction.state.log.num.partitions=4
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
share.coordinator.state.topic.num.partitions=4
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
EOF
    cat >"$dir/kafka/log4j2.properties" <<'EOF'
appender.stdout.type=Console
appender.stdout.name=stdout
appender.stdout.layout.type=PatternLayout
appender.stdout.layout.pattern=%d %p %m (%c)%n
rootLogger.level=INFO
rootLogger.appenderRef.stdout.ref=stdout
EOF
}

kafka_answers() { # PORT
    is_open "$1" && kcat -b "127.0.0.1:$1" -L -m 5 2>/dev/null | grep -q "broker 1 at 127.0.0.1:$1"
}

start_kafka() { # PORT CONTROLLER_PORT SASL_PORT PASSWORD
    local log=$dir/kafka.log
    command -v kcat >/dev/null || fail "kcat is not installed"
    fetch_kafka
    mkdir -p "$dir/kafka"
    write_kafka_config "$1" "$2" "$3" "$4"
    local java=(java -Xmx512m "-Dlog4j2.configurationFile=$dir/kafka/log4j2.properties" -cp "$jars/*")
    # Any cluster id will do, because no other node ever joins.
    "${java[@]}" -XX:TieredStopAtLevel=1 kafka.tools.StorageTool format -t 4L6g3nShT-eMCtK--X86sw \
        -c "$dir/kafka/server.properties" >"$log" 2>&1 || fail "Kafka's storage could not be formatted" "$log"
    setsid "${java[@]}" kafka.Kafka "$dir/kafka/server.properties" </dev/null >>"$log" 2>&1 &
    remember kafka $!
    wait_until_ready kafka kafka_answers "$1"
}

start_all() {
    local postgres_port kafka_port controller_port sasl_port password
    stop_all # servers that a crashed run may have left
    # If one server fails to start, stop the other. PostgreSQL may still be starting: wait for it first.
    starting_postgres=
    trap '(($?)) && { wait $starting_postgres || true; stop_all; }' EXIT
    trap 'exit 130' INT
    trap 'exit 143' TERM
    postgres_port=$(free_port 20000)
    kafka_port=$(free_port 24000)
    controller_port=$(free_port 28000)
    sasl_port=$(free_port 16000)
    password=$(od -An -N16 -tx1 /dev/urandom | tr -d ' \n')

    start_postgres "$postgres_port" "$password" &
    starting_postgres=$!
    [[ -n $without_kafka ]] || start_kafka "$kafka_port" "$controller_port" "$sasl_port" "$password"
    wait "$starting_postgres"

    (umask 077 && cat >"$dir/env") <<EOF
export APEX_TEST_DATABASE_URL=postgres://postgres:$password@127.0.0.1:$postgres_port/postgres
EOF
    [[ -n $without_kafka ]] || cat >>"$dir/env" <<EOF
export APEX_TEST_KAFKA_BROKERS=127.0.0.1:$kafka_port
export APEX_TEST_KAFKA_SASL_BROKERS=127.0.0.1:$sasl_port
export APEX_TEST_KAFKA_PASSWORD=$password
EOF
}

action=${1:-}
without_kafka=
sync=on
usage="usage: ${0##*/} start|stop [DIR [--without-kafka] [--without-sync]]"
[[ $action == start || $action == stop ]] || fail "$usage"
for option in "${@:3}"; do
    case $option in
        --without-kafka) without_kafka=$option ;;
        --without-sync) sync=off ;;
        *) fail "$usage" ;;
    esac
done
mkdir -p "${2:-$root/.services}"
dir=$(cd "${2:-$root/.services}" && pwd)
jars=$root/target/kafka-jars
"${action}_all"
