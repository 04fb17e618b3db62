"""Resources for people who write assets of their own."""

from emergency_pipeline.resources.kafka import KafkaResource
from emergency_pipeline.resources.manager import ManagerResource
from emergency_pipeline.resources.starrocks import StarRocksResource

__all__ = ["KafkaResource", "ManagerResource", "StarRocksResource"]
