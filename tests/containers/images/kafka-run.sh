#!/usr/bin/env bash
# KAFKA_SOME_NAME=value becomes some.name=value, as in apache/kafka (three underscores are a hyphen,
# two are an underscore); formats once, then serves.
set -euo pipefail
file=/opt/kafka/config/server.properties
: >"$file"
while IFS='=' read -r name value; do
  case "$name" in
    KAFKA_HEAP_OPTS | KAFKA_OPTS | KAFKA_JVM_*) continue ;;
    KAFKA_*)
      key="${name#KAFKA_}"
      key="${key,,}"
      key="${key//___/-}"
      key="${key//__/%}"
      key="${key//_/.}"
      echo "${key//%/_}=$value" >>"$file"
      ;;
  esac
done < <(env)
cat >/opt/kafka/config/log4j2.properties <<'LOG'
status = error
appender.console.type = Console
appender.console.name = console
appender.console.layout.type = PatternLayout
appender.console.layout.pattern = %d{ISO8601} %-5p %c{1.} - %m%n
rootLogger.level = warn
rootLogger.appenderRef.console.ref = console
logger.start.name = kafka.server
logger.start.level = info
LOG
read -r -a heap <<<"${KAFKA_HEAP_OPTS:--Xmx256m}"
flags=("${heap[@]}" -XX:+UseSerialGC -XX:TieredStopAtLevel=1
  -Dlog4j2.configurationFile=/opt/kafka/config/log4j2.properties -cp '/opt/kafka/libs/*')
java "${flags[@]}" kafka.tools.StorageTool format "--cluster-id=$CLUSTER_ID" --ignore-formatted -c "$file"
read -r -a options <<<"${KAFKA_OPTS:-}"
exec java "${flags[@]}" "${options[@]}" kafka.Kafka "$file"
