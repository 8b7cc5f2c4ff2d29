# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""`dicectl completion`: the script with which a shell completes dicectl's commands, options and values."""

import rich_click as click

_VARIABLE = "_DICECTL_COMPLETE"  # click's own name for it


@click.command("completion")
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@click.pass_context
def command(context, shell):
    """Print a completion script for a shell: commands, options, files, boards, profiles, reason codes and serial ports.

    \b
    Examples:
      dicectl completion bash > ~/.local/share/bash-completion/completions/dicectl
      dicectl completion zsh > ~/.zfunc/_dicectl        (with ~/.zfunc in fpath, before compinit)
      dicectl completion fish > ~/.config/fish/completions/dicectl.fish
    """
    from click.shell_completion import get_completion_class

    root = context.find_root().command
    click.echo(get_completion_class(shell)(root, {}, "dicectl", _VARIABLE).source())
