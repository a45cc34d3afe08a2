#!/bin/sh
# Counts the events of a topic, each once even if Kafka has it twice: count_events.sh localhost:9092 apex.call
kcat -b "$1" -C -t "$2" -o beginning -e -q -f '%h\n' | grep -o 'ce_position=[0-9]*' | sort -u | wc -l
