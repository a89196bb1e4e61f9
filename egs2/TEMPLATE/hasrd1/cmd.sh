# Copyright 2026 The hasrd authors
# Apache-2.0
# How the stages run their jobs: on this machine, or through Slurm. Choose here or in the environment:
#   cmd_backend=slurm ./run.sh

cmd_backend=${cmd_backend:-local}

case "${cmd_backend}" in
    local)
        export train_cmd="utils/run.sh"   # jobs on CPUs: data, features, clustering, scoring
        export cuda_cmd="utils/run.sh"    # training; "--gpu N" is added by the stages
        export decode_cmd="utils/run.sh"  # inference over the test sets
        ;;
    slurm)
        # Further options of sbatch, such as --partition, --account and --time: for jobs without and with GPUs.
        export slurm_cpu_opts=${slurm_cpu_opts:-}
        export slurm_gpu_opts=${slurm_gpu_opts:-}
        export train_cmd="utils/slurm.pl"
        # espnet2.bin.launch starts several nodes with srun only for a command of this name: a link to slurm.sh.
        export cuda_cmd="utils/slurm.pl"
        export decode_cmd="utils/slurm.pl"
        ;;
    *)
        echo "error: cmd_backend=${cmd_backend}: choose local or slurm" >&2
        return 2 2>/dev/null || exit 2
        ;;
esac
