//! Writes a tree as PTX without blanks, and strips a text down to the same form. Knows numbers only
//! as compilers write them: decimal, or `0f` and `0d` with capital letters.

use ptx_emu::ast::{
    Ast, CallPrototype, Function, Init, Instruction, Linkage, Loc, Operand, Space, Statement,
    Variable,
};

/// `text` without blanks, comments, files, sections, pragmas, attributes and offsets of zero.
pub(crate) fn normalized(text: &str) -> String {
    let lines = text
        .lines()
        .map(|line| line.split("//").next().unwrap_or_default())
        .filter(|line| !line.trim_start().starts_with(".file"))
        .take_while(|line| !line.trim_start().starts_with(".section"));
    let kept: String = lines
        .flat_map(str::chars)
        .filter(|c| !c.is_whitespace() && *c != '\0')
        .collect();
    kept.replace("+0]", "]")
        .replace(".pragma\"nounroll\";", "")
        .replace(".attribute(.managed)", "")
}

/// Everything but files and debugging strings, in the order of the text.
pub(crate) fn write(ast: &Ast<'_>) -> String {
    let mut items: Vec<_> = ast
        .variables
        .iter()
        .map(|v| (v.position, variable(v) + ";"))
        .collect();
    items.extend(ast.functions.iter().map(|f| (f.position, function(f))));
    items.sort();
    let items: String = items.into_iter().map(|(_, text)| text).collect();
    let ((major, minor), target) = (ast.version, ast.target.join(","));
    let size = ast.address_size;
    format!(".version{major}.{minor}.target{target}.address_size{size}{items}")
}

fn joined<T>(items: &[T], write: impl Fn(&T) -> String) -> String {
    items.iter().map(write).collect::<Vec<_>>().join(",")
}

fn linkage(linkage: Linkage) -> &'static str {
    match linkage {
        Linkage::Internal => "",
        Linkage::Extern => ".extern",
        Linkage::Visible => ".visible",
        Linkage::Weak => ".weak",
        Linkage::Common => ".common",
    }
}

fn variable(v: &Variable<'_>) -> String {
    let space = match v.space {
        Space::Reg => ".reg",
        Space::Param => ".param",
        Space::Const => ".const",
        Space::Global => ".global",
        Space::Local => ".local",
        Space::Shared => ".shared",
    };
    let align = v.align.map(|n| format!(".align{n}")).unwrap_or_default();
    let vector = match v.vector {
        1 => String::new(),
        n => format!(".v{n}"),
    };
    let ty = format!("{:?}", v.ty).to_lowercase();
    format!(
        "{}{space}{align}{vector}.{ty}{}",
        linkage(v.linkage),
        declarator(v)
    )
}

/// What may stand behind a comma.
fn declarator(v: &Variable<'_>) -> String {
    let count = v.count.map(|n| format!("<{n}>")).unwrap_or_default();
    let dims = v.dims.iter();
    let dims = dims.map(|dim| format!("[{}]", dim.map(|n| n.to_string()).unwrap_or_default()));
    let dims = dims.collect::<Vec<_>>().concat();
    let value = v.init.as_ref().map(|value| format!("={}", init(value)));
    format!("{}{count}{dims}{}", v.name, value.unwrap_or_default())
}

fn init(value: &Init<'_>) -> String {
    match value {
        Init::Value(value) => operand(value),
        Init::Address {
            symbol,
            offset,
            generic: true,
        } => format!("generic({symbol})+{offset}"),
        Init::Address { symbol, offset, .. } => format!("{symbol}+{offset}"),
        Init::List(items) => format!("{{{}}}", joined(items, init)),
    }
}

fn function(f: &Function<'_>) -> String {
    let returns = if f.returns.is_empty() {
        String::new()
    } else {
        format!("({})", joined(&f.returns, variable))
    };
    let directives = f.directives.iter();
    let directives =
        directives.map(|(name, numbers)| format!(".{name}{}", joined(numbers, u64::to_string)));
    let directives = directives.collect::<Vec<_>>().concat();
    let body = f.body.as_deref().map_or_else(|| ";".to_owned(), block);
    format!(
        "{}{}{returns}{}({}){directives}{body}",
        linkage(f.linkage),
        if f.entry { ".entry" } else { ".func" },
        f.name,
        joined(&f.params, variable)
    )
}

fn block(statements: &[Statement<'_>]) -> String {
    let mut inside = String::new();
    let mut before: Option<&Variable<'_>> = None;
    for item in statements {
        let Statement::Variable(v) = item else {
            before = None;
            inside += &statement(item);
            continue;
        };
        // Names of one line are those of one declaration.
        if before.is_some_and(|b| (b.position.line, b.ty) == (v.position.line, v.ty)) {
            inside.pop();
            inside.extend([",", &declarator(v), ";"]);
        } else {
            inside += &statement(item);
        }
        before = Some(v);
    }
    format!("{{{inside}}}")
}

fn statement(statement: &Statement<'_>) -> String {
    match statement {
        Statement::Block(inner) => block(inner),
        Statement::Variable(v) => variable(v) + ";",
        Statement::Label(_, name) => format!("{name}:"),
        Statement::Loc(line) => loc(line),
        Statement::Instruction(i) => instruction(i),
        Statement::BranchTargets(_, name, labels) => {
            format!("{name}:.branchtargets{};", labels.join(","))
        }
        Statement::CallTargets(_, name, functions) => {
            format!("{name}:.calltargets{};", functions.join(","))
        }
        Statement::CallPrototype(CallPrototype {
            name,
            returns,
            params,
            ..
        }) => format!(
            "{name}:.callprototype({})_({});",
            joined(returns, variable),
            joined(params, variable)
        ),
    }
}

fn loc(loc: &Loc<'_>) -> String {
    let function = loc.function.map(|name| format!(",function_name{name}"));
    let caller = loc.inlined_at;
    let caller = caller.map(|(file, line, column)| format!(",inlined_at{file}{line}{column}"));
    format!(
        ".loc{}{}{}{}{}",
        loc.file,
        loc.line,
        loc.column,
        function.unwrap_or_default(),
        caller.unwrap_or_default()
    )
}

fn instruction(i: &Instruction<'_>) -> String {
    let guard = match i.guard {
        None => String::new(),
        Some((predicate, false)) => format!("@{predicate}"),
        Some((predicate, true)) => format!("@!{predicate}"),
    };
    format!("{guard}{}{};", i.opcode, joined(&i.operands, operand))
}

fn operand(value: &Operand<'_>) -> String {
    match value {
        Operand::Name(name) => (*name).to_owned(),
        Operand::Int(value) => value.to_string(),
        Operand::F32(bits) => format!("0f{bits:08X}"),
        Operand::F64(bits) => format!("0d{bits:016X}"),
        Operand::Not(name) => format!("!{name}"),
        Operand::Negative(name) => format!("-{name}"),
        Operand::Sink => "_".to_owned(),
        Operand::Offset(name, offset) => format!("{name}+{offset}"),
        Operand::Address { base, offset, rest } => {
            let offset = match offset {
                0 => String::new(),
                bytes => format!("+{bytes}"),
            };
            let comma = if rest.is_empty() { "" } else { "," };
            let rest = joined(rest, operand);
            format!("[{}{offset}{comma}{rest}]", base.unwrap_or_default())
        }
        Operand::Vector(elements) => format!("{{{}}}", joined(elements, operand)),
        Operand::Pair(first, second) => format!("{}|{}", operand(first), operand(second)),
        Operand::List(items) => format!("({})", joined(items, operand)),
    }
}
