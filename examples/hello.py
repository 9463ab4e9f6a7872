from prefect import flow, task


@task(retries=2)
def greet(name: str) -> str:
    print(f"Hello, {name}!")
    return name


@flow(flow_run_name="hello-{day}", log_prints=True)
def hello(day: str, names: list[str]) -> None:
    greeted = [greet(name) for name in names]
    print(f"Greeted {' and '.join(greeted)} on {day}")


if __name__ == "__main__":
    hello("Monday", ["Ada", "Grace"])
