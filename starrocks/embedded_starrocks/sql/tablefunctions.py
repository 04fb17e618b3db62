"""Table functions: unnest and generate_series; every other is refused."""

from __future__ import annotations

from sqlglot import exp

from embedded_starrocks.errors import SqlError, semantic_error, unsupported
from embedded_starrocks.sql import kinds
from embedded_starrocks.sql.calls import call

_SERIES = "generate_series"


def _refused(name: str) -> SqlError:
    return unsupported(f"the table function {name}")


def check(table: exp.Table) -> None:
    """A call in the place of a table: generate_series(a, b) is the one that is answered."""
    name = table.this.name if isinstance(table.this, exp.Anonymous) else ""
    if name.lower() != _SERIES:
        from embedded_starrocks.sql.functions import refused

        raise refused(name or table.this.sql("starrocks")[:60])
    alias = table.args.get("alias")
    if alias is None:
        alias = exp.TableAlias(this=exp.to_identifier(name), columns=[])
        table.set("alias", alias)
    if not alias.columns:
        alias.set("columns", [exp.to_identifier(_SERIES)])
    table.this.set("this", _SERIES)
    table.this.meta["done"] = True
    table.meta["outputs"] = [(alias.columns[0].name, kinds.BIGINT)]


def unwrap(wrapped: exp.TableFromRows) -> None:
    """TABLE(generate_series(a, b)) as a table."""
    table = exp.Table(this=wrapped.this, alias=wrapped.args.get("alias"))
    wrapped.replace(table)
    check(table)


def unnest(node: exp.Unnest) -> exp.Expr:
    """unnest(array): one column; of several arrays side by side see `lateral` and `join`."""
    if not isinstance(node.parent, exp.From | exp.Join | exp.Lateral):
        raise semantic_error("unnest is a table function: it stands in FROM")
    found = [kinds.element(kinds.of(each)) for each in node.expressions]
    node.meta["outputs"] = [(_name(index, len(found)), kind) for index, kind in enumerate(found)]
    if len(node.expressions) == 1:
        return node
    alias = node.args.get("alias")
    return _side_by_side(node, alias) if isinstance(node.parent, exp.From) else node


def _name(index: int, count: int) -> str:
    return "unnest" if count == 1 else f"unnest_{index}"


def lateral(node: exp.Lateral) -> exp.Expr:
    """LATERAL unnest(a, b) AS u(x, y)."""
    if node.args.get("view") or node.args.get("outer"):
        raise unsupported("LATERAL VIEW")
    inner = node.this
    if isinstance(inner, exp.Unnest) and len(inner.expressions) > 1:
        return _side_by_side(inner, node.args.get("alias"))
    if not isinstance(inner, exp.Unnest | exp.Subquery):
        raise _refused(inner.sql("starrocks")[:60])
    return node


def join(node: exp.Join) -> exp.Expr:
    """JOIN unnest(a, b) AS u(x, y) without the word LATERAL."""
    inner = node.this
    if isinstance(inner, exp.Unnest) and len(inner.expressions) > 1:
        node.set("this", _side_by_side(inner, inner.args.get("alias")))
    return node


def _side_by_side(node: exp.Unnest, alias: exp.Expr | None) -> exp.Expr:
    """Several arrays as the columns of one table; the shorter ones are filled with NULL."""
    names = [each.name for each in alias.columns] if isinstance(alias, exp.TableAlias) else []
    outputs = node.meta["outputs"]
    columns = [
        exp.alias_(
            call("unnest", each.copy()),
            names[index] if index < len(names) else outputs[index][0],
            quoted=True,
        )
        for index, each in enumerate(node.expressions)
    ]
    table = alias.this.copy() if isinstance(alias, exp.TableAlias) and alias.this else None
    made = exp.Lateral(
        this=exp.Subquery(this=exp.Select(expressions=columns)),
        alias=exp.TableAlias(this=table or exp.to_identifier("unnest")),
    )
    made.meta["outputs"] = [
        (names[index] if index < len(names) else name, kind)
        for index, (name, kind) in enumerate(outputs)
    ]
    return made
