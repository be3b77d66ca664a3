//! `candour completions` and `candour man`.

use std::path::Path;

use clap::CommandFactory as _;
use clap_complete::Shell;
use clap_mangen::Man;

use super::Context;
use crate::args::Cli;
use crate::exit::Exit;
use crate::failure::Failure;

pub(super) fn completions(context: &mut Context<'_>, shell: Shell) -> Result<Exit, Failure> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "candour", &mut script);
    context.out.raw(&script)?;
    Ok(Exit::Done)
}

pub(super) fn man(context: &mut Context<'_>, dir: Option<&Path>) -> Result<Exit, Failure> {
    let Some(dir) = dir else {
        let mut page = Vec::new();
        Man::new(Cli::command()).render(&mut page)?;
        context.out.raw(&page)?;
        return Ok(Exit::Done);
    };
    let failed = |source| Failure::FileWrite {
        path: dir.to_owned(),
        source,
    };
    std::fs::create_dir_all(dir).map_err(failed)?;
    clap_mangen::generate_to(Cli::command(), dir).map_err(failed)?;
    context
        .out
        .line(format!("The pages are in {}.", dir.display()))?;
    Ok(Exit::Done)
}
