"""The product tree of a CSAF document: each product by all its names, and the product of which it is a part.

Rule: a product that is narrowed by something that is not understood has a fault, so that it sets nothing aside.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from imagegate.gate.vex.openvex import Component

# The relationships in which a product is a part of another one, or is installed on it.
_PART_OF = (
    *("default_component_of", "optional_component_of", "external_component_of"),
    *("installed_on", "installed_with"),
)
# Members of product_identification_helper that name a product, and those that narrow nothing.
_NAMES = ("purl", "cpe")
_HARMLESS = ("sbom_urls", "x_generic_uris")
# Red Hat names source packages so; packages of images are binary ones, and those of this name come from it.
_SOURCE = "arch=src"


def mapped(value: Any) -> Mapping[str, Any]:
    """Return an object, or an empty one for any other value."""
    return value if isinstance(value, dict) else {}


def listed(value: Any) -> list[Any]:
    """Return a list, or an empty one for any other value."""
    return value if isinstance(value, list) else []


def text_of(raw: Mapping[str, Any], name: str) -> str:
    """Return a text, or an empty one for any other value."""
    value = raw.get(name)
    return value if isinstance(value, str) else ""


@dataclass(frozen=True, slots=True)
class Product:
    """A product and its parts; without parts it is meant as a whole."""

    component: Component
    parts: tuple[Component, ...] = ()
    fault: str = ""


class ProductTree:
    """All products of a document by their ids."""

    def __init__(self, raw: Mapping[str, Any]) -> None:
        self._products: dict[str, Product] = {}
        self._groups: dict[str, list[str]] = {}
        for full_name in _full_names(raw):
            self._add(full_name, _product(full_name))
        for relationship in map(mapped, listed(raw.get("relationships"))):
            self._add(mapped(relationship.get("full_product_name")), self._related(relationship))
        for group in map(mapped, listed(raw.get("product_groups"))):
            ids = [one for one in listed(group.get("product_ids")) if isinstance(one, str)]
            group_id = text_of(group, "group_id")
            # A group that is there twice (CSAF 2.0, test 6.1.4) has the products that both have.
            known = self._groups.get(group_id, ids)
            self._groups[group_id] = [one for one in ids if one in known]

    def _add(self, full_name: Mapping[str, Any], product: Product) -> None:
        """Add a product. One whose id means another product, too (CSAF 2.0, test 6.1.2), may be anything."""
        product_id = text_of(full_name, "product_id")
        if self._products.setdefault(product_id, product) != product:
            fault = f"the tree has several products with the id {product_id[:60]!a}"
            self._products[product_id] = Product(Component(), fault=fault)

    def product(self, product_id: Any) -> Product:
        """Return a product; one that is not in the tree may be anything, and has a fault."""
        known = self._products.get(product_id) if isinstance(product_id, str) else None
        return known or Product(Component(), fault=f"the product {str(product_id)[:60]!a} is not in the tree")

    def group(self, group_id: Any) -> list[str]:
        """Return the ids of the products of a group."""
        return self._groups.get(group_id, []) if isinstance(group_id, str) else []

    def _related(self, raw: Mapping[str, Any]) -> Product:
        """Return a product that is a part of another one."""
        part, whole = (
            self.product(raw.get("product_reference")),
            self.product(raw.get("relates_to_product_reference")),
        )
        faults = [part.fault, whole.fault]
        if raw.get("category") not in _PART_OF:
            faults.append(f"the relationship {str(raw.get('category'))[:40]!a} is not understood")
        if part.parts or whole.parts:
            # A module of a distribution: what it narrows is not known of an image.
            faults.append("the product is a part of a part")
        own = _names(mapped(raw.get("full_product_name")))
        component = Component(
            whole.component.names, whole.component.hashes, labels=(*whole.component.labels, *own)
        )
        parts = part.parts or (part.component,)
        return Product(component, parts, "; ".join(dict.fromkeys(filter(None, faults))))


def _full_names(raw: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """Yield the products of the list and of all branches."""
    yield from map(mapped, listed(raw.get("full_product_names")))
    waiting = listed(raw.get("branches"))[:]
    while waiting:
        branch = mapped(waiting.pop())
        if "product" in branch:
            yield mapped(branch["product"])
        waiting += listed(branch.get("branches"))


def _product(full_name: Mapping[str, Any]) -> Product:
    helper = mapped(full_name.get("product_identification_helper"))
    urls = [text_of(helper, "purl"), *(one for one in listed(helper.get("purls")) if isinstance(one, str))]
    names = [_without_source(url) for url in urls if url] + [text_of(helper, "cpe")]
    hashes = [
        (text_of(mapped(one), "algorithm"), text_of(mapped(one), "value"))
        for several in listed(helper.get("hashes"))
        for one in listed(mapped(several).get("file_hashes"))
    ]
    known = (*_NAMES, "purls", "hashes", *_HARMLESS)
    narrowing = [key for key in helper if key not in known and helper[key]]
    fault = f"{', '.join(narrowing)[:60]} of the product is not understood" if narrowing else ""
    component = Component(tuple(dict.fromkeys(filter(None, names))), tuple(hashes), labels=_names(full_name))
    return Product(component, fault=fault)


def _names(full_name: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the id and the name of a product, by which people name it."""
    return tuple(filter(None, (text_of(full_name, "product_id"), text_of(full_name, "name"))))


def _without_source(url: str) -> str:
    """Return a package URL without `arch=src`."""
    bare, _, query = url.partition("?")
    rest = "&".join(part for part in query.split("&") if part and part != _SOURCE)
    return f"{bare}?{rest}" if rest else bare
