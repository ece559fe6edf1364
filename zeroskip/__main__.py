"""`python -m zeroskip`."""

from zeroskip.model.import_path import leave_out_current_folder

if __name__ in ("__main__", "__mp_main__"):
    # Before anything is imported that a user's file could replace.
    leave_out_current_folder()

if __name__ == "__main__":
    from zeroskip.start import start

    start()
