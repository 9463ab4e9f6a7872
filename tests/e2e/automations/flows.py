from prefect import flow


@flow
def first() -> None:
    pass
