"""Lints an OpenAPI document, and checks that answers fit what it says of them.

Input: {"document": {...}, "answers": [{"path": "/retrohook/events", "response": "200", "body": {...}}]}. Ends with status 1 if anything is wrong,
and names all of it.
"""
import json
import sys

from jsonschema import Draft202012Validator
from openapi_spec_validator import OpenAPIV31SpecValidator
from referencing import Registry
from referencing.jsonschema import DRAFT202012

HERE = "urn:document"
SCHEMAS = "#/components/schemas/"


def closed(schema, schemas):
    """The schema, with every object closed: an answer has nothing that is not described."""
    if not isinstance(schema, dict):
        return schema
    made = opened(schema, schemas)
    if schema.get("type") == "object" and "properties" in schema and "additionalProperties" not in schema:
        made["unevaluatedProperties"] = False
    return made


def opened(schema, schemas):
    """The same, except that the object itself may have more: it is a part of another one."""
    if not isinstance(schema, dict):
        return schema
    is_whole = "properties" not in schema
    made = {}
    for name, part in schema.items():
        if name == "properties":
            made[name] = {key: closed(value, schemas) for key, value in part.items()}
        elif name in ("oneOf", "anyOf", "allOf"):
            made[name] = [closed(one, schemas) if is_whole else opened(named(one, schemas), schemas) for one in part]
        elif name in ("items", "additionalProperties"):
            made[name] = closed(part, schemas)
        else:
            made[name] = part
    return made


def named(schema, schemas):
    """What a schema refers to, or itself."""
    reference = schema.get("$ref", "") if isinstance(schema, dict) else ""
    return schemas[reference.removeprefix(SCHEMAS)] if reference.startswith(SCHEMAS) else schema


def problems(given):
    document = given["document"]
    for error in OpenAPIV31SpecValidator(document).iter_errors():
        yield f"the document, at {'/'.join(map(str, error.absolute_path))}: {error.message}"
    schemas = document["components"]["schemas"]
    components = {"schemas": {name: closed(schema, schemas) for name, schema in schemas.items()}}
    resource = DRAFT202012.create_resource({**document, "components": components})
    registry = Registry().with_resource(HERE, resource)
    for answer in given["answers"]:
        places = ["paths", answer["path"], "get", "responses", answer["response"], "content", "application/json", "schema"]
        pointer = "/".join(place.replace("~", "~0").replace("/", "~1") for place in places)
        validator = Draft202012Validator({"$ref": f"{HERE}#/{pointer}"}, registry=registry)
        for error in validator.iter_errors(answer["body"]):
            where = "/".join(map(str, error.absolute_path))
            yield f"GET {answer['path']} ({answer['response']}), at {where}: {error.message}"


found = list(problems(json.load(sys.stdin)))
print("\n".join(found))
sys.exit(1 if found else 0)
