"""All lines of the suite."""

from tests.faults.alerts import faults_of_failover, faults_of_pods, faults_of_redis, faults_of_visits

LINES = [*faults_of_redis.LINES, *faults_of_failover.LINES, *faults_of_pods.LINES, *faults_of_visits.LINES]
BY_NAME = {line.name: line for line in LINES}
