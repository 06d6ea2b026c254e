//! Windows: named ones where they are used, and frames as what `plan/frames.rs` computes
//! (<https://www.postgresql.org/docs/15/sql-expressions.html#SYNTAX-WINDOW-FUNCTIONS>).

use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{
    self, Expr, Function, FunctionArguments, Ident, NamedWindowDefinition, NamedWindowExpr, OrderByExpr, OrderByKind,
    OrderByOptions, Query, Select, SetExpr, Value, VisitMut, VisitorMut, WindowFrame, WindowFrameBound,
    WindowFrameUnits, WindowSpec, WindowType,
};
use sightline_storage::error::{Error, Result, SqlState};

use super::calls::call;
use crate::parser::EXCLUDE;
use crate::plan::frames::MARK;
use crate::plan::names::fold;

/// Refuses a window function with too few or too many arguments, which DataFusion looks for without asking.
///
/// # Errors
/// 42883.
pub(super) fn window_arguments(f: &Function) -> Result<()> {
    let FunctionArguments::List(list) = &f.args else { return Ok(()) };
    let name = f.name.to_string().to_lowercase();
    let fits = match name.trim_start_matches("pg_catalog.") {
        "row_number" | "rank" | "dense_rank" | "percent_rank" | "cume_dist" => list.args.is_empty(),
        "first_value" | "last_value" | "ntile" => list.args.len() == 1,
        "nth_value" => list.args.len() == 2,
        "lag" | "lead" => (1..=3).contains(&list.args.len()),
        _ => true,
    };
    if f.over.is_none() || fits {
        return Ok(());
    }
    Err(Error::new(SqlState::UNDEFINED_FUNCTION, format!("function {name} with these arguments does not exist"))
        .hint("No function matches the given name and argument types. You might need to add explicit type casts."))
}

/// Puts named windows where they are used: DataFusion would drop the partitions and the order that `OVER (w ORDER BY x)`
/// takes from `w` (<https://www.postgresql.org/docs/15/sql-select.html#SQL-WINDOW>).
///
/// # Errors
/// 42704 for an unknown window; 42P20 for two of one name, and where a window says again what its original said.
fn inline_select(select: &mut Select, order_by: &mut [OrderByExpr]) -> Result<()> {
    let mut pass = Windows { known: vec![], depth: 0, failed: None };
    for NamedWindowDefinition(name, window) in std::mem::take(&mut select.named_window) {
        let name = fold(&name);
        if pass.known.iter().any(|(known, _)| *known == name) {
            return Err(windowing(format!("window \"{name}\" is already defined")));
        }
        let spec = match window {
            NamedWindowExpr::NamedWindow(original) => pass.find(&original)?,
            NamedWindowExpr::WindowSpec(spec) => pass.inherited(spec)?,
        };
        pass.known.push((name, spec));
    }
    let _: ControlFlow<()> = select.projection.visit(&mut pass);
    order_by.iter_mut().for_each(|o| {
        let _: ControlFlow<()> = o.expr.visit(&mut pass);
    });
    pass.failed.map_or(Ok(()), Err)
}

/// As [`inline_select`], of a query: its ORDER BY may name the windows of its only select list.
///
/// # Errors
/// As [`inline_select`].
pub(super) fn inline_windows(query: &mut Query) -> Result<()> {
    let mut none = Vec::new();
    let order_by = match query.order_by.as_mut().map(|o| &mut o.kind) {
        Some(OrderByKind::Expressions(exprs)) => exprs,
        _ => &mut none,
    };
    inline_set(&mut query.body, order_by)
}

fn inline_set(body: &mut SetExpr, order_by: &mut [OrderByExpr]) -> Result<()> {
    match body {
        SetExpr::Select(select) => inline_select(select, order_by),
        SetExpr::SetOperation { left, right, .. } => {
            inline_set(left, &mut [])?;
            inline_set(right, &mut [])
        }
        // A query in parentheses is visited by itself.
        _ => Ok(()),
    }
}

/// Puts windows into the calls of one select list, not into those of its subqueries.
struct Windows {
    known: Vec<(String, WindowSpec)>,
    depth: usize,
    failed: Option<Error>,
}

impl Windows {
    fn find(&self, name: &Ident) -> Result<WindowSpec> {
        let name = fold(name);
        let found = self.known.iter().find(|(known, _)| *known == name);
        let unknown = || Error::new(SqlState::UNDEFINED_OBJECT, format!("window \"{name}\" does not exist"));
        found.map(|(_, spec)| spec.clone()).ok_or_else(unknown)
    }

    /// The window with what it takes from the one it names.
    fn inherited(&self, mut spec: WindowSpec) -> Result<WindowSpec> {
        let exclude = excluded(&mut spec);
        if let Some(name) = spec.window_name.take() {
            self.inherit(&mut spec, &name)?;
        }
        with_frame(&mut spec, exclude.as_deref())?;
        Ok(spec)
    }

    fn inherit(&self, spec: &mut WindowSpec, name: &Ident) -> Result<()> {
        let original = self.find(name)?;
        let name = fold(name);
        if !spec.partition_by.is_empty() {
            return Err(windowing(format!("cannot override PARTITION BY clause of window \"{name}\"")));
        }
        if !spec.order_by.is_empty() && !original.order_by.is_empty() {
            return Err(windowing(format!("cannot override ORDER BY clause of window \"{name}\"")));
        }
        if original.window_frame.is_some() || original.order_by.last().is_some_and(is_mark) {
            return Err(windowing(format!("cannot copy window \"{name}\" because it has a frame clause")));
        }
        spec.partition_by = original.partition_by;
        if spec.order_by.is_empty() {
            spec.order_by = original.order_by;
        }
        Ok(())
    }

    fn inline(&self, over: &mut WindowType) -> Result<()> {
        *over = WindowType::WindowSpec(match over {
            WindowType::NamedWindow(name) => self.find(name)?,
            WindowType::WindowSpec(spec) => self.inherited(spec.clone())?,
        });
        Ok(())
    }
}

fn windowing(message: String) -> Error {
    Error::new(SqlState::WINDOWING_ERROR, message)
}

impl VisitorMut for Windows {
    type Break = ();

    fn pre_visit_query(&mut self, _: &mut Query) -> ControlFlow<()> {
        self.depth += 1;
        ControlFlow::Continue(())
    }

    fn post_visit_query(&mut self, _: &mut Query) -> ControlFlow<()> {
        self.depth -= 1;
        ControlFlow::Continue(())
    }

    fn pre_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
        if self.depth == 0
            && let Expr::Function(Function { over: Some(over), .. }) = expr
            && let Err(error) = self.inline(over)
        {
            self.failed = Some(error);
            return ControlFlow::Break(());
        }
        ControlFlow::Continue(())
    }
}

/// What the window's frame excludes, as the parser has marked it.
fn excluded(spec: &mut WindowSpec) -> Option<String> {
    let what = match &spec.order_by.last()?.expr {
        Expr::Identifier(ident) => ident.value.strip_prefix(EXCLUDE)?.to_string(),
        _ => return None,
    };
    spec.order_by.pop();
    Some(what)
}

fn is_mark(order: &OrderByExpr) -> bool {
    matches!(&order.expr, Expr::Function(f) if f.name.to_string() == MARK)
}

/// Makes a mark at the end of the ORDER BY of a frame that is ours to compute; others stay DataFusion's.
///
/// # Errors
/// 42P20 for a frame that ends before it starts, and for one that lacks an order; 42P10 for a bound with columns in it.
fn with_frame(spec: &mut WindowSpec, exclude: Option<&str>) -> Result<()> {
    use WindowFrameBound as B;
    let Some(frame) = spec.window_frame.take() else { return Ok(()) };
    let end = frame.end_bound.clone().unwrap_or(B::CurrentRow);
    let wrong = match (&frame.start_bound, &end) {
        (B::Following(None), _) => Some("frame start cannot be UNBOUNDED FOLLOWING"),
        (_, B::Preceding(None)) => Some("frame end cannot be UNBOUNDED PRECEDING"),
        (B::CurrentRow, B::Preceding(_)) => Some("frame starting from current row cannot have preceding rows"),
        (B::Following(_), B::CurrentRow) if frame.end_bound.is_none() => {
            Some("frame starting from following row cannot end with current row")
        }
        (B::Following(_), B::Preceding(_) | B::CurrentRow) => {
            Some("frame starting from following row cannot have preceding rows")
        }
        _ => None,
    };
    if let Some(wrong) = wrong {
        return Err(windowing(wrong.to_string()));
    }
    let offsets = [&frame.start_bound, &end].iter().any(|b| matches!(b, B::Preceding(Some(_)) | B::Following(Some(_))));
    match frame.units {
        WindowFrameUnits::Range if offsets && spec.order_by.len() != 1 => {
            let text = "RANGE with offset PRECEDING/FOLLOWING requires exactly one ORDER BY column";
            return Err(windowing(text.to_string()));
        }
        WindowFrameUnits::Groups if spec.order_by.is_empty() => {
            return Err(windowing("GROUPS mode requires an ORDER BY clause".to_string()));
        }
        _ => {}
    }
    let known = matches!(frame.start_bound, B::Preceding(None)) && matches!(end, B::CurrentRow | B::Following(None));
    if known && exclude.is_none() {
        spec.window_frame = Some(frame);
        return Ok(());
    }
    let mark = mark(&frame, &end, exclude, &spec.order_by)?;
    spec.order_by.push(OrderByExpr {
        expr: mark,
        options: OrderByOptions { asc: None, nulls_first: None },
        with_fill: None,
    });
    Ok(())
}

/// `__frame('range', 'preceding', 1, 'current', NULL, 'ties', x)`: the frame, and the column that a RANGE goes by.
fn mark(frame: &WindowFrame, end: &WindowFrameBound, exclude: Option<&str>, order: &[OrderByExpr]) -> Result<Expr> {
    let text = |text: &str| Expr::value(Value::SingleQuotedString(text.to_string()));
    let units = match frame.units {
        WindowFrameUnits::Rows => "ROWS",
        WindowFrameUnits::Range => "RANGE",
        WindowFrameUnits::Groups => "GROUPS",
    };
    let bound = |bound: &WindowFrameBound| -> Result<[Expr; 2]> {
        let (word, offset) = match bound {
            WindowFrameBound::CurrentRow => ("current", None),
            WindowFrameBound::Preceding(offset) => ("preceding", offset.as_deref()),
            WindowFrameBound::Following(offset) => ("following", offset.as_deref()),
        };
        let Some(offset) = offset else {
            let word = if word == "current" { word } else { "unbounded" };
            return Ok([text(word), Expr::value(Value::Null)]);
        };
        if has_columns(offset) {
            let message = format!("argument of {units} must not contain variables");
            return Err(Error::new(SqlState::new("42P10"), message));
        }
        // A string by itself was read as an interval; its type is that which the column wants.
        let offset = match offset {
            Expr::Interval(ast::Interval { value, leading_field: None, .. }) => value.as_ref().clone(),
            other => other.clone(),
        };
        Ok([text(word), offset])
    };
    let [start, start_offset] = bound(&frame.start_bound)?;
    let [end, end_offset] = bound(end)?;
    let mut arguments = vec![text(units), start, start_offset, end, end_offset, text(exclude.unwrap_or("no"))];
    if frame.units == WindowFrameUnits::Range {
        arguments.extend(order.first().map(|o| o.expr.clone()));
    }
    Ok(call(MARK, arguments))
}

/// Whether the expression names a column, outside of subqueries.
fn has_columns(expr: &Expr) -> bool {
    struct Find {
        depth: usize,
    }
    impl ast::Visitor for Find {
        type Break = ();

        fn pre_visit_query(&mut self, _: &Query) -> ControlFlow<()> {
            self.depth += 1;
            ControlFlow::Continue(())
        }

        fn post_visit_query(&mut self, _: &Query) -> ControlFlow<()> {
            self.depth -= 1;
            ControlFlow::Continue(())
        }

        fn pre_visit_expr(&mut self, expr: &Expr) -> ControlFlow<()> {
            let column = matches!(expr, Expr::Identifier(_) | Expr::CompoundIdentifier(_));
            if column && self.depth == 0 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        }
    }
    ast::Visit::visit(expr, &mut Find { depth: 0 }).is_break()
}
