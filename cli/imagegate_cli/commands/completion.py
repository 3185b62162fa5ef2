"""`imagegate completion`: prints the script by which a shell completes commands and options."""

from __future__ import annotations

import click

from imagegate_cli.output.terminal import print_content

_VARIABLE = "_IMAGEGATE_COMPLETE"  # the script sets it, and click answers it


@click.command()
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
def completion(shell: str) -> None:
    """Print the script that completes commands and options in a shell.

    \b
    bash, in ~/.bashrc:                    eval "$(imagegate completion bash)"
    zsh, in ~/.zshrc, after compinit:      eval "$(imagegate completion zsh)"
    fish, in ~/.config/fish/config.fish:   imagegate completion fish | source
    """
    from click.shell_completion import get_completion_class

    from imagegate_cli.main import cli

    kind = get_completion_class(shell)
    if kind is None:
        raise click.UsageError(f"click knows no completion for {shell}")
    # click's class for bash warns about the version of the bash on the PATH in its own way; the text is the same.
    script = kind(cli, {}, "imagegate", _VARIABLE)
    print_content(script.source_template % script.source_vars() + "\n")
