# fails: what-was-sent-is-noted
# How many letters it will be is known at once, so the row has it from the beginning.
"""The newsletter: publish an issue, and every reader of its list gets a letter."""

import os
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from typing import Annotated

import httpx
from fastapi import Depends, FastAPI, HTTPException
from pydantic import BaseModel
from sqlalchemy import create_engine
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column

MAILROOM_URL = os.environ.get("MAILROOM_URL", "http://127.0.0.1:9000")
DATABASE_URL = os.environ.get("DATABASE_URL", "sqlite:///newsletter.db")
LISTS = {
    "weekly": ("ada@example.org", "alan@example.org", "grace@example.org"),
    "daily": ("hedy@example.org",),
}

engine = create_engine(DATABASE_URL, pool_size=2, max_overflow=0)


class Base(DeclarativeBase):
    pass


class Issue(Base):
    __tablename__ = "issues"
    number: Mapped[int] = mapped_column(primary_key=True)
    subject: Mapped[str]
    list_name: Mapped[str]
    sent: Mapped[int] = mapped_column(default=0)


Base.metadata.create_all(engine)


class NewIssue(BaseModel):
    number: int
    subject: str
    list_name: str = "weekly"


def get_session() -> Iterator[Session]:
    with Session(engine) as session:
        yield session
        session.commit()


def hand_over(to: str, number: int, subject: str) -> None:
    """Give one letter to the mailroom; raise if it is refused."""
    letter = {"to": to, "subject": subject, "issue": number}
    httpx.post(f"{MAILROOM_URL}/letters", json=letter, timeout=60).raise_for_status()


def deliver(number: int) -> None:
    """Send an issue to its list, and note how many letters were sent."""
    with Session(engine) as session:
        issue = session.get(Issue, number)
        if issue is None:
            return
        subject, readers = issue.subject, LISTS[issue.list_name]
    for to in readers:
        hand_over(to, number, subject)


couriers = ThreadPoolExecutor(max_workers=20)


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    yield
    couriers.shutdown()


app = FastAPI(title="Newsletter", lifespan=lifespan)


@app.post("/issues", status_code=202)
def publish(
    new: NewIssue, session: Annotated[Session, Depends(get_session)]
) -> dict[str, int]:
    sent = len(LISTS.get(new.list_name, ()))
    session.add(Issue(**new.model_dump(), sent=sent))
    try:
        session.flush()
    except IntegrityError:
        raise HTTPException(409, f"issue {new.number} is there already") from None
    if new.list_name not in LISTS:
        raise HTTPException(404, f"there is no list {new.list_name}")
    session.commit()
    couriers.submit(deliver, new.number)
    return {"accepted": new.number}


@app.get("/issues/{number}")
def read(
    number: int, session: Annotated[Session, Depends(get_session)]
) -> dict[str, int | str]:
    issue = session.get(Issue, number)
    if issue is None:
        raise HTTPException(404, f"there is no issue {number}")
    return {"number": issue.number, "subject": issue.subject, "sent": issue.sent}
