# SPDX-License-Identifier: MIT
# bash completion of vgpuctl(8). Commands and options come from the program itself.
_vgpuctl()
{
	local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD - 1]} word command='' i

	COMPREPLY=()
	for ((i = 1; i < COMP_CWORD; i++)); do
		word=${COMP_WORDS[i]}
		if [[ $word != -* && $word != '=' && ${COMP_WORDS[i - 1]} != '=' ]]; then
			command=$word
			break
		fi
	done
	if [[ $prev == '=' || $cur == '=' ]]; then
		compopt -o filenames 2>/dev/null
		mapfile -t COMPREPLY < <(compgen -f -- "${cur#=}")
		return
	fi
	case $command:$cur in
	*:-*) word=$(vgpuctl complete ${command:+"$command"} 2>/dev/null | grep -- '^--') ;;
	:*) word=$(vgpuctl complete 2>/dev/null | grep -v -- '^--') ;;
	help:*) word=$(vgpuctl complete 2>/dev/null | grep -v -- '^--') ;;
	add:*) word=$(vgpuctl --json profiles 2>/dev/null | sed -n 's/.*"profile": "\(.*\)",*/\1/p') ;;
	remove:* | quota:*)
		word=$(vgpuctl --json status 2>/dev/null | sed -n 's/.*"index": \([0-9]*\),*/\1/p')
		;;
	evict:*) word=$(vgpuctl --json clients 2>/dev/null | sed -n 's/.*"pid": \([0-9]*\),*/\1/p') ;;
	doctor:*)
		compopt -o filenames 2>/dev/null
		mapfile -t COMPREPLY < <(compgen -f -- "$cur")
		return
		;;
	*) return ;;
	esac
	mapfile -t COMPREPLY < <(compgen -W "$word" -- "$cur")
	[[ ${#COMPREPLY[@]} == 1 && ${COMPREPLY[0]} == *= ]] && compopt -o nospace
	return 0
}
complete -F _vgpuctl vgpuctl
