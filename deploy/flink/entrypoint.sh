#!/usr/bin/env bash
# Starts `jobmanager` or `taskmanager` in the foreground, as Flink's own image does with the same
# words. FLINK_PROPERTIES: "key: value" lines over conf/config.yaml. FLINK_PROPERTIES_FILE: a file of
# such lines with secrets, which must not stand in a command line. FLINK_HEAP_MB: the JVM's heap.
set -euo pipefail

role="${1:-}"
shift || true
case "$role" in
  jobmanager) main=org.apache.flink.runtime.entrypoint.StandaloneSessionClusterEntrypoint ;;
  taskmanager) main=org.apache.flink.runtime.taskexecutor.TaskManagerRunner ;;
  *)
    echo "error: '$role' is not allowed; allowed: jobmanager, taskmanager" >&2
    exit 2
    ;;
esac

if [[ -n "${FLINK_PROPERTIES_FILE:-}" ]]; then
  conf="$(mktemp -d)"
  cp "$FLINK_CONF_DIR"/* "$conf"/
  chmod -R u+w "$conf"
  cat "$FLINK_PROPERTIES_FILE" >>"$conf/config.yaml"
  export FLINK_CONF_DIR="$conf"
fi

properties=()
while IFS= read -r line; do
  line="${line#"${line%%[![:space:]]*}"}"
  [[ -z "$line" || "$line" == \#* ]] && continue
  properties+=("-D" "${line%%:*}=$(sed 's/^[^:]*:[[:space:]]*//' <<<"$line")")
done <<<"${FLINK_PROPERTIES:-}"

heap="${FLINK_HEAP_MB:-256}"
flags=("-Xmx${heap}m" -Xms64m -XX:MaxMetaspaceSize=192m -XX:+UseSerialGC
  -XX:TieredStopAtLevel=1 -Xss512k -Duser.timezone=UTC -Djava.io.tmpdir=/tmp)
if [[ "$role" == taskmanager ]]; then
  # framework off-heap + task off-heap + network, as in conf/config.yaml
  flags+=(-XX:MaxDirectMemorySize=128m)
  # the heap without the framework's share belongs to the tasks
  properties+=("-D" "taskmanager.memory.task.heap.size=$((heap - 64))m")
fi
for name in lang net io nio lang.reflect text time util util.concurrent util.concurrent.atomic \
  util.concurrent.locks; do
  flags+=("--add-opens=java.base/java.$name=ALL-UNNAMED")
done

# flink-dist last, as Flink's own scripts have it
jars="$(find "$FLINK_HOME/lib" -name '*.jar' ! -name 'flink-dist*' | sort | tr '\n' ':')"
dist="$(find "$FLINK_HOME/lib" -name 'flink-dist*.jar')"
exec java "${flags[@]}" --add-opens=java.base/sun.nio.ch=ALL-UNNAMED \
  "-Dlog4j.configurationFile=$FLINK_CONF_DIR/log4j-console.properties" -Dlog.file=/dev/null \
  -cp "$jars$dist" "$main" --configDir "$FLINK_CONF_DIR" "${properties[@]}" "$@"
