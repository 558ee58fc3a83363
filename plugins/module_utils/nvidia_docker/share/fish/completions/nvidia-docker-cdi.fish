# Copyright (c) 2026 the gpufleet.nvidia authors
# SPDX-License-Identifier: GPL-3.0-or-later

complete --command nvidia-docker-cdi --no-files
complete --command nvidia-docker-cdi --long-option path --require-parameter --force-files --description 'File of the specification'
complete --command nvidia-docker-cdi --long-option devices --exclusive --description 'GPUs and MIG devices, joined by commas'
complete --command nvidia-docker-cdi --long-option capabilities --exclusive --arguments 'all compute utility video graphics display ngx compat32' --description 'Driver capabilities, joined by commas'
complete --command nvidia-docker-cdi --long-option cdi-version --exclusive --arguments '0.3.0 0.4.0 0.5.0 0.6.0 0.7.0 0.8.0 1.0.0' --description 'Version of CDI'
complete --command nvidia-docker-cdi --long-option kind --exclusive --description 'Vendor and class of the devices'
complete --command nvidia-docker-cdi --long-option toolkit-hooks --description 'Let engines run the hooks of the toolkit'
complete --command nvidia-docker-cdi --long-option volumes-path --exclusive --arguments '(__fish_complete_directories)' --description 'Where the driver volumes are'
complete --command nvidia-docker-cdi --long-option driver-root --exclusive --arguments '(__fish_complete_directories)' --description 'Directory that holds the driver'
complete --command nvidia-docker-cdi --long-option spec-directories --exclusive --description 'Where engines look for specifications'
complete --command nvidia-docker-cdi --long-option unless-same-as --require-parameter --force-files --description 'Do nothing if this file says that nothing has changed'
complete --command nvidia-docker-cdi --long-option help --description 'List the options'
complete --command nvidia-docker-cdi --long-option version --description 'Print the version'
