"""Reads deliveries with `cloudevents` and prints the attributes and the data of each as a line of JSON.

Input: {"messages": [{"headers": {...}, "body": "..."}]}. Ends with status 1 at the first that is no CloudEvent.
"""
import json
import sys

from cloudevents.core.bindings.http import HTTPMessage, from_http_event

for request in json.load(sys.stdin)["messages"]:
    assert request["headers"]["content-type"].startswith("application/cloudevents+json"), request["headers"]
    event = from_http_event(HTTPMessage(headers=request["headers"], body=request["body"].encode()))
    print(json.dumps({"attributes": event.get_attributes(), "data": event.get_data()}, default=str))
