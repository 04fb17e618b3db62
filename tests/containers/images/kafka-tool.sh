#!/usr/bin/env bash
# One script behind the names of Kafka's tools.
set -euo pipefail
case "$(basename "$0" .sh)" in
  kafka-topics) main=org.apache.kafka.tools.TopicCommand ;;
  kafka-consumer-groups) main=org.apache.kafka.tools.consumer.group.ConsumerGroupCommand ;;
  kafka-broker-api-versions) main=org.apache.kafka.tools.BrokerApiVersionsCommand ;;
  kafka-configs) main=kafka.admin.ConfigCommand ;;
  kafka-get-offsets) main=org.apache.kafka.tools.GetOffsetShell ;;
  kafka-metadata-quorum) main=org.apache.kafka.tools.MetadataQuorumCommand ;;
  *) echo "error: no tool $0" >&2; exit 2 ;;
esac
exec java -Xmx128m -XX:+UseSerialGC -XX:TieredStopAtLevel=1 \
  -Dlog4j2.configurationFile=/opt/kafka/config/log4j2.properties \
  -cp '/opt/kafka/libs/*' "$main" "$@"
